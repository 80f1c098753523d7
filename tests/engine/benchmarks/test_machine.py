import platform

from engine.benchmarks.machine import cpu_model, this_machine


def test_the_processor_is_named_as_linux_names_it():
    listed = "processor\t: 0\nmodel name\t: Fast CPU @ 2.00GHz\n\nprocessor\t: 1\n"
    assert cpu_model(listed) == "Fast CPU @ 2.00GHz"


def test_where_linux_names_no_processor_python_does():
    assert cpu_model("") in (platform.processor(), platform.machine())


def test_a_machine_is_told_in_a_line():
    line = str(this_machine())
    assert " cores of " in line
    assert "torch 2." in line
    assert "\n" not in line
