"""What a run shows in words: the verdict, the paragraph below it, the best cells."""
