"""Options that several commands have, each written once."""

from __future__ import annotations

from typing import Annotated

import typer

Wait = Annotated[
    float, typer.Option(min=0, help="Seconds to wait for a run folder that is in use.")
]
EncoderDevice = Annotated[
    str, typer.Option(help="Of the encoders: auto, cpu, cuda[:INDEX] or mps.")
]
EncoderDtype = Annotated[str, typer.Option(help="float32, bfloat16 or float16.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the table of results as JSON.")]
TrustTorchscript = Annotated[
    bool,
    typer.Option(
        "--trust-torchscript",
        help="Run the code in a TorchScript file (I3D); for files that you trust.",
    ),
]
Debug = Annotated[bool, typer.Option(help="Stop at the first failure and show its traceback.")]
ShowTraceback = Annotated[bool, typer.Option(help="Show the traceback of an error.")]
