"""How is the frequency checkpoint trained and measured?"""
