"""What do manipulation and transmission do to a face, and how is that imitated?"""
