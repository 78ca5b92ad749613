"""Tables that people write (manifests, captions, ballots) and the files that they name."""
