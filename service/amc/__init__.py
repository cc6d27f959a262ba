"""Amazon Marketing Cloud (AMC): the accounts and instances that reports run with, its reporting API as typed calls,
and a sandbox that stands for it.

The client retries nothing and decides nothing about retries; it says exactly what happened.
Segments, leases and schedules are not known here.
"""
