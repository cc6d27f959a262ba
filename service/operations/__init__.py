"""What operators see of a process: `/metrics`, `/healthz` and `/readyz`, on the API's port or on one of their own.

Nothing here decides anything: the rest of the program tells it what happens, in one line each, and it asks the
database and the broker only when somebody looks.
"""
