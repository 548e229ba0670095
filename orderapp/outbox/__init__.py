"""The outbox: messages written with the change they are about, relayed to the broker after the commit.

Acts: relaying (publish what is due), announcing (tell other services of events), parking (retry or discard what cannot be
published).
"""
