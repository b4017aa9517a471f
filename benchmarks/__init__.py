"""What does an analysis cost, and how far is that from what it must cost?"""
