"""From X-rays to masks with a trained model: what is found, what is written, and how it resumes."""
