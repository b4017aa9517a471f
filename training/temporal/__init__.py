"""How is the temporal checkpoint trained, exported and measured?"""
