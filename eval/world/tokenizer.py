"""Words of the glyph world as tokens: CLIP's tokenizer format for the generator, a word table for
the CLIP encoder.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from eval.world.glyphs import GLYPHS
from eval.world.scenes import BACKGROUNDS, COLOURS, MOTIONS

CONTEXT_LENGTH = 16
_START, _END = "<|startoftext|>", "<|endoftext|>"


def words() -> list[str]:
    """Every word a caption can hold, sorted."""
    found = {"a", "an", "over", "background", *GLYPHS, *COLOURS, *BACKGROUNDS}
    for phrase in MOTIONS.values():
        found.update(phrase.split())
    return sorted(found)


def build_clip_tokenizer():
    """A transformers CLIPTokenizer in which every word of the world is one token; other words fall
    into letters.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import CLIPTokenizer

    trainer = trainers.BpeTrainer(
        special_tokens=[_START, _END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        end_of_word_suffix="</w>",
        vocab_size=4096,
        min_frequency=0,
        show_progress=False,
    )
    bpe = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    bpe.pre_tokenizer = pre_tokenizers.Whitespace()
    bpe.train_from_iterator(words(), trainer)
    model = json.loads(bpe.to_str())["model"]
    vocabulary = dict(model["vocab"])
    for letter in pre_tokenizers.ByteLevel.alphabet():
        vocabulary.setdefault(f"{letter}</w>", len(vocabulary))
    merges = [tuple(pair) for pair in model["merges"]]
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=CONTEXT_LENGTH)


class WordTokenizer:
    """Caption -> token ids, one per word: the tokenizer of the CLIP encoder.

    Ids: 0 padding, 1 start, 2 unknown word, then the words in order, and last the end token, the
    highest id, as open_clip's text pooling expects. Longer prompts are cut so that the end token
    survives.
    """

    def __init__(
        self, vocabulary: Sequence[str] | None = None, context_length: int = CONTEXT_LENGTH
    ) -> None:
        self.words = list(vocabulary) if vocabulary is not None else words()
        self.context_length = context_length
        self._ids = {word: index + 3 for index, word in enumerate(self.words)}
        self.end = len(self.words) + 3

    def __len__(self) -> int:
        return self.end + 1

    def truncated(self, prompt: str) -> bool:
        """Whether the prompt has more words than fit."""
        return len(prompt.lower().split()) > self.context_length - 2

    def __call__(self, prompts: Sequence[str]):
        """list of N prompts -> LongTensor (N, context_length)."""
        import torch

        rows = [list(self._row(prompt)) for prompt in prompts]
        return torch.tensor(
            [row + [0] * (self.context_length - len(row)) for row in rows], dtype=torch.long
        )

    def _row(self, prompt: str) -> Iterator[int]:
        yield 1
        for word in prompt.lower().split()[: self.context_length - 2]:
            yield self._ids.get(word, 2)
        yield self.end

    def save(self, path: Path) -> None:
        """Write words and context length to a JSON file."""
        path.write_text(
            json.dumps({"words": self.words, "context_length": self.context_length}, indent=1)
            + "\n"
        )

    @classmethod
    def load(cls, path: Path) -> WordTokenizer:
        """Read a file that :meth:`save` wrote."""
        stored = json.loads(path.read_text())
        return cls(stored["words"], stored["context_length"])
