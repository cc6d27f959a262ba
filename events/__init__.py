"""The log: event types, envelope, codec, the append writer and the feed.

Nothing here knows HTTP, AMC or the broker; whoever appends or follows imports from here.
"""
