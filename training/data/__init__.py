"""Where do images, clips and base weights come from, and how are they prepared?"""
