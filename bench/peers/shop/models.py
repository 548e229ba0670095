"""Products, orders, lines."""

from django.db import models


class Product(models.Model):
    """Something for sale."""

    name = models.CharField(max_length=200)
    price = models.DecimalField(max_digits=12, decimal_places=2)
    stock = models.PositiveBigIntegerField()

    class Meta:
        """Django's."""

        app_label = "shop"

    def __str__(self) -> str:
        """Return its name."""
        return self.name


class Order(models.Model):
    """An order."""

    status = models.CharField(max_length=20, default="pending", db_index=True)
    total_amount = models.DecimalField(max_digits=22, decimal_places=2, null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    settled_at = models.DateTimeField(null=True)

    class Meta:
        """Django's."""

        app_label = "shop"

    def __str__(self) -> str:
        """Return its number."""
        return f"order {self.pk}"


class OrderItem(models.Model):
    """A line of an order."""

    order = models.ForeignKey(Order, related_name="items", on_delete=models.CASCADE)
    product = models.ForeignKey(Product, on_delete=models.PROTECT)
    quantity = models.PositiveIntegerField()
    unit_price = models.DecimalField(max_digits=12, decimal_places=2)

    class Meta:
        """Django's."""

        app_label = "shop"

    def __str__(self) -> str:
        """Return what it is of."""
        return f"{self.quantity} of product {self.product_id}"
