"""How much does each detector weigh, and where do the levels begin?"""
