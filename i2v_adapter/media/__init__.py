"""Videos and images as a player shows them: upright, square pixels, 8-bit RGB, or a reason why
not.
"""
