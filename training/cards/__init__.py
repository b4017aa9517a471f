"""How do figures become calibrations and model cards?"""
