"""How is the sync checkpoint trained, exported and measured?"""
