"""Do lids, mouth, head and skin move as real ones do?"""
