"""How is the spatial checkpoint trained, exported and measured?"""
