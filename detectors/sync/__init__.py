"""Do the lips and the voice belong to the same moment?"""
