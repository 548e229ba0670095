"""Webhooks: telling the receiver that an order was confirmed, failed or cancelled.

Acts: ``sending`` (claim, POST, record), ``rescuing`` (wakes deliveries whose message or worker was lost), ``replaying``
(an operator sends a given-up delivery again). ``fan_out`` joins the transaction that settles the order.

"""
