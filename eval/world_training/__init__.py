"""How the glyph world is trained: recipe, stages, acceptance, showcase."""
