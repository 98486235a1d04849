"""Redriving: dead letters, and what AWS gave up delivering, applied after their cause is gone."""
