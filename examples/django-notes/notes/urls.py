from django.urls import path

from . import views

urlpatterns = [
    path("", views.notes, name="notes"),
    path("<uuid:note>/delete", views.delete, name="delete"),
]
