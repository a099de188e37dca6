"""Models on the CPU: weight readers, tokenizer, chat, speech. Imports nothing by itself."""
