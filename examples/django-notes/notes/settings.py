"""A project without a database: notes are objects in a bucket, and sessions are not needed."""

import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
# Every environment must have the same: forms that one has made come to another.
SECRET_KEY = os.environ["SECRET_KEY"]
DEBUG = os.environ.get("DEBUG") == "1"
ALLOWED_HOSTS = os.environ.get("ALLOWED_HOSTS", ".localhost,localhost,127.0.0.1").split(",")
BUCKET = os.environ.get("BUCKET", "notes")

INSTALLED_APPS = ["notes"]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "notes.urls"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {"context_processors": ["django.template.context_processors.request"]},
    }
]
WSGI_APPLICATION = "notes.wsgi.application"
DATABASES = {}
TIME_ZONE = "UTC"
USE_TZ = True
# An exception's trace goes where prints go, into the function's log.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"log": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["log"], "level": "WARNING"},
}
