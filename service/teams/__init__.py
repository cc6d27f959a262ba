"""What a team may have at work at once, over all of its reports: counted in its own stream."""
