"""Wrong gradients on purpose: a catalogue of faults, and which of them each road catches."""
