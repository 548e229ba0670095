"""Where the API of the shop is."""

from django.urls import include, path
from rest_framework.routers import DefaultRouter

from bench.peers.shop import celery
from bench.peers.shop.views import OrderViewSet

# As Django's own tutorial for Celery: shared tasks belong to the application that was imported.
application = celery.app

router = DefaultRouter()
router.register("orders", OrderViewSet)

urlpatterns = [path("api/", include(router.urls))]
