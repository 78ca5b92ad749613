"""Words as tokens, in both tokenizers."""

from __future__ import annotations

from eval.world.tokenizer import CONTEXT_LENGTH, WordTokenizer, build_clip_tokenizer, words


def test_every_word_is_one_clip_token():
    tokenizer = build_clip_tokenizer()
    for word in words():
        ids = tokenizer(word).input_ids
        assert len(ids) == 3, word
        assert tokenizer.decode(ids[1:2]) == word


def test_clip_tokenizer_survives_saving(tmp_path):
    from transformers import CLIPTokenizer

    tokenizer = build_clip_tokenizer()
    tokenizer.save_pretrained(tmp_path)
    again = CLIPTokenizer.from_pretrained(tmp_path)
    prompt = "an orange star moving left over a navy background, zebra"
    assert again(prompt).input_ids == tokenizer(prompt).input_ids
    assert again.model_max_length == CONTEXT_LENGTH


def test_word_tokenizer_keeps_the_end_token_of_long_prompts():
    tokenizer = WordTokenizer()
    short, long = tokenizer(["a red star", "star " * 40]).tolist()
    assert short[:5] == [1, *(tokenizer._ids[word] for word in ("a", "red", "star")), tokenizer.end]
    assert long[-1] == tokenizer.end == max(max(short), max(long))
    assert tokenizer.truncated("star " * 40)
    assert not tokenizer.truncated("a red star")


def test_word_tokenizer_survives_saving(tmp_path):
    tokenizer = WordTokenizer()
    tokenizer.save(tmp_path / "vocab.json")
    again = WordTokenizer.load(tmp_path / "vocab.json")
    assert again(["a red zebra"]).tolist() == tokenizer(["a red zebra"]).tolist()
