"""What looks wrong?"""
