"""Do the fine detail and the spectrum of this face fit a camera's image?"""
