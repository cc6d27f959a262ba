"""Audit: what people and the service did, as a page of the log and as figures.

Reads the log, the index of its blocks, and counts; records nothing in the log.
"""
