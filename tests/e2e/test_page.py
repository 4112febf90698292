"""The web page in a real browser: a photo, its thumbnail, a rush of calls, the count of live environments."""

from platform_under_test import ROOT, eventually


def test_a_photo_a_rush_and_the_way_back_to_zero(own_platform, browser):
    running = own_platform("--test-controls")
    running.lambent("deploy", str(ROOT / "examples/thumbnail"))
    browser.get(f"{running.endpoint}/")
    text = lambda name: browser.find_element("id", name).text  # noqa: E731
    assert "0 live" in eventually(lambda: text("chip"), lambda seen: "live" in seen)
    eventually(lambda: browser.find_element("id", "sample").is_displayed(), bool)
    browser.find_element("id", "sample").click()
    assert eventually(lambda: text("start").lower(), bool) == "cold start"
    assert text("cpu") and text("memory") and text("billed") and "$" in text("price")
    browser.find_element("id", "again").click()
    assert eventually(lambda: text("start").lower(), lambda seen: "warm" in seen) == "warm start"
    browser.find_element("id", "many").click()
    assert eventually(lambda: text("rate"), lambda seen: seen and "…" not in seen, seconds=60)
    assert text("n-bad").startswith("0 ") and text("n-429").startswith("0 ")
    browser.save_screenshot(str(ROOT / "target/page.png"))
    control(running, '{"advanceMs": 700000}')
    assert "0 live" in eventually(lambda: text("chip"), lambda seen: "0 live" in seen)
    severe = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert not severe, severe


def control(running, body):
    import urllib.request

    request = urllib.request.Request(f"{running.endpoint}/_lambent/test/clock", data=body.encode(), method="POST")
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200
