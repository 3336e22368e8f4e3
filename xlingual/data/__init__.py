"""Data: loading, cleaning, encoding, sampling, and the embedded corpus."""

from xlingual.data.bitext import Bitext, read_bitext, read_bitexts
from xlingual.data.collating import TransferCollator
from xlingual.data.corpus import ROLES, embedded_corpus
from xlingual.data.dictionary import read_dictionary, word_translations
from xlingual.data.holdout import hold_out
from xlingual.data.mixing import mix_domains
from xlingual.data.readers.cleaning import find_overlap, write_rejected
from xlingual.data.readers.columns import Columns
from xlingual.data.readers.loading import LoadedData, load_source
from xlingual.data.readers.sources import DataSource, parse_sources
from xlingual.data.sampling import TransferSampler
from xlingual.data.sets import TransferData, load_transfer_data
from xlingual.data.tokenising import encode, label_space_of
from xlingual.data.translations import check_translations, read_translations, translate_rows

__all__ = [
    "ROLES",
    "Bitext",
    "Columns",
    "DataSource",
    "LoadedData",
    "TransferCollator",
    "TransferData",
    "TransferSampler",
    "check_translations",
    "embedded_corpus",
    "encode",
    "find_overlap",
    "hold_out",
    "label_space_of",
    "load_source",
    "load_transfer_data",
    "mix_domains",
    "parse_sources",
    "read_bitext",
    "read_bitexts",
    "read_dictionary",
    "read_translations",
    "translate_rows",
    "word_translations",
    "write_rejected",
]
