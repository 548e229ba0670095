"""Monitoring: is it alive, and is it able to work?"""
