"""What do the findings mean together?"""
