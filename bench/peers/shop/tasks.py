"""The worker's side of the shop."""

from decimal import Decimal

from celery import shared_task
from django.db import transaction
from django.utils import timezone

from bench.peers.shop.models import Order, Product


@shared_task
def process_order(order_id: int) -> None:
    """Take the stock and confirm the order."""
    with transaction.atomic():
        order = Order.objects.select_for_update().get(pk=order_id)
        if order.status != "pending":
            return
        order.status = "processing"
        order.save(update_fields=["status"])
    with transaction.atomic():
        order = Order.objects.select_for_update().get(pk=order_id)
        items = list(order.items.select_related("product").order_by("product_id"))
        total = Decimal(0)
        for item in items:
            product = Product.objects.select_for_update().get(pk=item.product_id)
            product.stock -= item.quantity
            product.save(update_fields=["stock"])
            total += item.quantity * item.unit_price
        order.total_amount = total
        order.status = "confirmed"
        order.settled_at = timezone.now()
        order.save(update_fields=["status", "total_amount", "settled_at"])
