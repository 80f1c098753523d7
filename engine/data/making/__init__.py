"""Clips made of other clips, where no recordings have what is to be learnt.

Each maker takes labelled clips and a generator of random numbers and yields `Made`
clips: the same clips and the same seed give the same samples.  None of them knows files
to write; `engine.data.__main__` does.
"""
