"""Orders: placed, claimed, settled once, rescued when a worker or message was lost.

Acts: placing, processing, rescuing, cancelling, retrying, positioning, pruning.
"""
