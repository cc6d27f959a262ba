"""Dead letters as operators see them: list, send again, discard; over the API and by `report-builder dead-letters`.

The letters are the broker's (`service/backfill/broker`); what is decided about one is an event.
"""
