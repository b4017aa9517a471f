"""How is an analysis shown?"""
