"""Ruby classes: checked by ruby -c, and run against stubs of the gem's public surface."""

import pytest

from tests.metadata import tools
from tests.metadata.languages.odd import odd_texts
from tests.metadata.served import types_text

STUBS = """
module ServiceStack
  module DTO
    def initialize(**given) = given.each { |name, value| public_send("#{name}=", value) }
    def to_hash
      self.class.properties.to_h { |name, said| [said[:name], instance_variable_get("@#{name}")] }.compact
    end
  end
end
"""
USE = """
def check(held, what) = held || raise(what.inspect)
request = RecordAiChatUsage.new(company_id: 'c', tokens_used: 3)
check(request.to_hash == { 'companyId' => 'c', 'tokensUsed' => 3 }, request.to_hash)
check(request.response_type == AiChatUsageResponse && request.is_a?(ICompany), request)
check(request.get_type_name == 'RecordAiChatUsage' && request.get_method == 'POST', request)
check(ApiKeyQueryResponse.properties[:results][:type] == [ApiKeyInfo], ApiKeyQueryResponse.properties)
check(ApiKeyInfo.properties[:created_at][:type] == DateTime, ApiKeyInfo.properties)
check(ResponseStatus.properties[:meta][:type] == { String => String }, ResponseStatus.properties)
"""
ODD_USE = """
def check(held, what) = held || raise(what.inspect)
taken = TakenMembers.new(end: 'e', self_: 's', object_id_: 'o', hash_: 'h', class_: 'c')
want = { 'end' => 'e', 'self' => 's', 'objectId' => 'o', 'hash' => 'h', 'class' => 'c' }
check(taken.to_hash == want, taken.to_hash)
check(!Object.method_defined?(:own) && !Hash.method_defined?(:own) && !Time.method_defined?(:own), 'reopened')
check(OddReply.properties[:nested][:type] == Date_ && OddReply.properties[:at][:type] == DateTime, 'types')
check(OddRequest.new.get_type_name == 'OddRequest', 'name')
"""


def run(folder, text, use):
    (folder / "servicestack.rb").write_text(STUBS)
    (folder / "dtos.rb").write_text(text, encoding="utf-8")
    (folder / "use.rb").write_text(f"require 'date'\nrequire_relative 'dtos'\n{use}")
    said = tools.run(tools.program("ruby"), "-W", "-c", "dtos.rb", cwd=folder)
    assert said.strip() == "Syntax OK"
    tools.run(tools.program("ruby"), "-W", "-I", ".", "use.rb", cwd=folder)


def test_the_classes_work(tmp_path):
    run(tmp_path, types_text("ruby"), USE)


def test_the_casing_of_the_original_changes_wire_names_alone(tmp_path):
    use = USE.replace("companyId", "CompanyId").replace("tokensUsed", "TokensUsed")
    run(tmp_path, types_text("ruby", "pascal"), use)


@pytest.mark.parametrize("options", ["plain", "required", "bare"])
def test_what_is_odd_works_and_keeps_its_names(tmp_path, options):
    run(tmp_path, odd_texts("ruby")[options], ODD_USE)
