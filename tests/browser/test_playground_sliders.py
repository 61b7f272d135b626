"""In JupyterLab: a slider of the playground redraws the face and its description."""

from __future__ import annotations

from playwright.sync_api import expect


def picture(output):
    return output.locator("img").last


def test_moving_sliders_redraws_the_face_and_says_the_new_gaze(notebook):
    page = notebook("02_synthetic_faces.ipynb")
    page.run_all()
    assert page.errors() == []
    output = page.output(page.find_cell("playground.show()"))
    before = picture(output).get_attribute("src")
    expect(output).to_contain_text("25° to the left of the image")

    slider = output.locator(".widget-slider", has_text="gaze yaw").locator(".noUi-handle")
    slider.focus()
    for _ in range(10):
        page.page.keyboard.press("ArrowRight")
    expect(output).not_to_contain_text("25° to the left of the image", timeout=20_000)
    expect(output).to_contain_text("35° to the left of the image", timeout=20_000)
    turned = picture(output).get_attribute("src")
    assert turned != before

    output.get_by_role("tab", name="Wears").click()
    output.locator(".widget-dropdown", has_text="hat").locator("select").select_option("helmet")
    expect(output).to_contain_text("a helmet", timeout=20_000)
    assert picture(output).get_attribute("src") != turned
