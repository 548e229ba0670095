"""``orders/workload.py``: the orders of a simulation are as random as they should be, and repeat themselves."""

from collections import Counter

from orderapp.orders.workload import CROSSING, SHORT, Assortment, random_orders, stock_for

SHOP = Assortment(1, tuple(range(2, 2 + len(CROSSING))), tuple(range(20, 20 + len(SHORT))))


def test_a_seed_repeats_its_orders_line_by_line() -> None:
    """Also the order of the lines, which decides who locks what first."""

    def some(seed: int) -> list[list[tuple[int, int]]]:
        return [list(order.items()) for order in random_orders(SHOP, 50, seed)]

    assert some(7) == some(7)
    assert some(7) != some(8)


def test_orders_meet_at_a_hot_product_and_cross_at_the_others() -> None:
    """Half want the hot one; lines come in any order; all products occur and none that is not ours."""
    orders = list(random_orders(SHOP, 1000, seed=1))
    wanted = Counter(product_id for order in orders for product_id in order)
    assert set(wanted) == set(SHOP.ids)
    assert 400 < wanted[SHOP.hot] < 600
    assert any(list(order) != sorted(order) for order in orders)
    assert any(list(order) == sorted(order) for order in orders if len(order) > 1)


def test_only_the_short_products_run_short() -> None:
    """All others have enough for the greediest orders."""
    plenty, little = stock_for(1000)
    orders = list(random_orders(SHOP, 1000, seed=2))
    units = Counter[int]()
    for order in orders:
        units.update(order)
    assert all(units[product_id] <= plenty for product_id in (SHOP.hot, *SHOP.crossing))
    assert all(units[product_id] > little for product_id in SHOP.short)
    assert stock_for(1)[1] == 1
