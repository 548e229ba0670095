"""The API of the shop."""

from typing import Any

from django.db import transaction
from rest_framework import serializers, viewsets

from bench.peers.shop.models import Order, OrderItem
from bench.peers.shop.tasks import process_order


class ItemSerializer(serializers.ModelSerializer):
    """A line; ``product`` is checked against the database by its related field."""

    product_id = serializers.PrimaryKeyRelatedField(source="product", queryset=OrderItem.product.get_queryset())

    class Meta:
        """Rest framework's."""

        model = OrderItem
        fields = ("id", "product_id", "quantity", "unit_price")
        read_only_fields = ("unit_price",)


class OrderSerializer(serializers.ModelSerializer):
    """An order with its lines, written together."""

    items = ItemSerializer(many=True, allow_empty=False)

    class Meta:
        """Rest framework's."""

        model = Order
        fields = ("id", "status", "total_amount", "created_at", "items")
        read_only_fields = ("status", "total_amount", "created_at")

    def create(self, validated_data: dict[str, Any]) -> Order:
        """Store the order and its lines, and wake a worker when they are committed."""
        lines = validated_data.pop("items")
        with transaction.atomic():
            order = Order.objects.create(**validated_data)
            for line in lines:
                OrderItem.objects.create(order=order, unit_price=line["product"].price, **line)
            transaction.on_commit(lambda: process_order.delay(order.pk))
        return order


class OrderViewSet(viewsets.ModelViewSet):
    """Orders."""

    queryset = Order.objects.prefetch_related("items")
    serializer_class = OrderSerializer
