"""How the glyph world is trained: recipe, stages, figures, showcase."""
