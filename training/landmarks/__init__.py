"""How is the landmarks checkpoint fitted and measured?"""
