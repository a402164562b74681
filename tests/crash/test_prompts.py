from trials import prompts


def test_no_prompt_changes_on_its_way_and_what_is_no_text_is_refused(tmp_path):
    row = prompts.fuzzed(300, tmp_path, 21)

    assert row.ok, row
    assert (row.counts["prompts"], row.counts["through a run"], row.counts["refused"]) == (300, 30, 3)


def test_a_prompt_that_was_changed_would_be_seen(tmp_path):
    def without_accents(directory):
        for file in directory.root.glob("prompts.*"):
            file.write_bytes(file.read_bytes().replace("é".encode(), b"e"))

    row = prompts.fuzzed(90, tmp_path, 21, meddle=without_accents)

    assert not row.ok
    assert row.counts["changed by the reader"] > 0
