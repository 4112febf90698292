import os
import pathlib
import shutil
import tempfile

import pytest

from platform_under_test import Platform
from s3_wire import Store


@pytest.fixture(scope="session")
def workspace():
    """A folder that an unprivileged user can enter too."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="lambent-e2e-"))
    os.chmod(folder, 0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def platform(workspace):
    """One platform that most tests share; each uses functions of its own."""
    data = workspace / "shared"
    data.mkdir()
    running = Platform(data, "--test-controls", "--apis-reach-host")
    yield running
    running.stop()


@pytest.fixture
def own_platform(workspace, request):
    """Starts platforms of the test's own and ends what is left of them."""
    started = []

    def start(*arguments, **more):
        data = workspace / f"{request.node.name}-{len(started)}".replace("[", "-").replace("]", "")
        data.mkdir()
        started.append(Platform(data, *arguments, **more))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.kill()


@pytest.fixture(scope="session")
def store(workspace):
    """A platform that the tests of S3 share, with a key; each uses buckets of its own."""
    data = workspace / "store"
    data.mkdir()
    running = Platform(data, "--test-controls")
    yield Store(running)
    running.stop()


@pytest.fixture
def functions(platform):
    return platform.client("lambda")


def start_browser(folder, *flags):
    """Chromium without a window; without it the test is skipped."""
    webdriver = pytest.importorskip("selenium.webdriver")
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver):
        pytest.skip("chromium and chromium-driver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in [
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
        "--disable-background-networking", "--disable-component-update", f"--user-data-dir={folder}", "--window-size=1100,1400", *flags,
    ]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))


@pytest.fixture
def browser(tmp_path):
    running = start_browser(tmp_path)
    yield running
    running.quit()


@pytest.fixture
def browse(tmp_path):
    """Starts a browser with flags of the test's own."""
    started = []

    def start(*flags):
        started.append(start_browser(tmp_path, *flags))
        return started[-1]

    yield start
    for one in started:
        one.quit()
