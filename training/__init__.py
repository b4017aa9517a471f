"""Where do the embedded weights and numbers come from?"""
